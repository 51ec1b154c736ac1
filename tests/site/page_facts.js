// Functions that run in a page, and return what tests/site checks. None of them changes what a reader sees.

function describe(element) {
  const text = (element.textContent || element.getAttribute("src") || "").trim().replace(/\s+/g, " ").slice(0, 60);
  const classes = (element.getAttribute("class") || "").trim().replace(/\s+/g, ".");
  return `<${element.tagName.toLowerCase()}${classes && "." + classes}> ${text}`;
}

// Colours: [red, green, blue, opacity], the first three from 0 to 255.

function parseColour(text) {
  const numbers = text.match(/-?[\d.]+(e-?\d+)?/g).map(Number);
  if (text.startsWith("rgb")) return [...numbers.slice(0, 3), numbers[3] ?? 1];
  if (text.startsWith("color(srgb")) return [...numbers.slice(0, 3).map((part) => part * 255), numbers[3] ?? 1];
  throw new Error(`unknown colour ${text}`);
}

function over(above, below) {
  const opacity = above[3];
  return [0, 1, 2].map((part) => above[part] * opacity + below[part] * (1 - opacity)).concat(1);
}

function contrast(one, other) {
  const luminances = [one, other].map((colour) => {
    const [red, green, blue] = colour.slice(0, 3).map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  });
  return (Math.max(...luminances) + 0.05) / (Math.min(...luminances) + 0.05);
}

function ancestors(element) {
  const found = [];
  for (let each = element; each; each = each.parentElement) found.push(each);
  return found;
}

function background(element) {
  const layers = ancestors(element).map((each) => parseColour(getComputedStyle(each).backgroundColor));
  return layers.reduceRight((below, above) => over(above, below), [255, 255, 255, 1]);
}

// Text with less contrast than WCAG 2 (level AA) requires: 3 if it is large, otherwise 4.5.
function faintText() {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const parents = new Set();
  while (walker.nextNode()) if (walker.currentNode.data.trim()) parents.add(walker.currentNode.parentElement);
  const faint = new Map();
  let n = 0;
  for (const element of parents) {
    const box = element.getBoundingClientRect();
    const isShown = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    if (!isShown || box.width < 2 || box.height < 2) continue;
    // The diagrams of scikit-learn (.sk-top-container) have its colours.
    if (element.closest("script, style, noscript, mjx-assistive-mml, :disabled, .sk-top-container")) continue;
    const style = getComputedStyle(element);
    const behind = background(element);
    const colour = parseColour(style.color);
    colour[3] *= ancestors(element).reduce((product, each) => product * getComputedStyle(each).opacity, 1);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = contrast(over(colour, behind), behind);
    n += 1;
    if (ratio < (isLarge ? 3 : 4.5) - 0.005) {
      const colours = `${style.color} on ${behind.slice(0, 3).map(Math.round)}`;
      faint.set(colours, `${ratio.toFixed(2)}: ${colours}: ${describe(element)}`);
    }
  }
  return { n, faint: [...faint.values()] };
}

// Whether a figure is visible on its background: the number of colours, and the fraction of pixels that stand out from
// the most frequent colour.
function pixels(image, behind) {
  const width = 400;
  const height = Math.max(1, Math.round((width * image.naturalHeight) / image.naturalWidth));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = `rgb(${behind.slice(0, 3).join(" ")})`;
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0, width, height);
  const data = context.getImageData(0, 0, width, height).data;
  const counts = new Map();
  for (let at = 0; at < data.length; at += 4) {
    const colour = (data[at] >> 3 << 16) | (data[at + 1] >> 3 << 8) | (data[at + 2] >> 3);
    counts.set(colour, (counts.get(colour) || 0) + 1);
  }
  const unpack = (colour) => [16, 8, 0].map((shift) => ((colour >> shift) & 255) << 3);
  const [frequent] = [...counts.entries()].reduce((most, each) => (each[1] > most[1] ? each : most));
  const ground = unpack(frequent);
  let standingOut = 0;
  for (const [colour, count] of counts) if (contrast(unpack(colour), ground) >= 1.5) standingOut += count;
  return { nColours: counts.size, standingOut: standingOut / (width * height) };
}

async function figures() {
  const found = [];
  for (const image of document.querySelectorAll("img, object, embed, iframe")) {
    const figure = { name: describe(image), tag: image.tagName.toLowerCase(), alt: image.getAttribute("alt") };
    figure.address = image.getAttribute("src");
    figure.label = (image.closest("a, .sphx-glr-thumbcontainer")?.textContent ?? "").trim(); // the text next to it
    found.push(figure);
    if (figure.tag !== "img") continue;
    image.loading = "eager";
    try {
      await image.decode();
    } catch {
      // A picture that can't be decoded has the size 0.
    }
    figure.size = [image.naturalWidth, image.naturalHeight];
    figure.isShown = image.checkVisibility();
    if (Math.min(...figure.size) && figure.isShown) Object.assign(figure, pixels(image, background(image)));
  }
  return found;
}

// Formulas that MathJax did not typeset, and text that looks like the source of a formula or a table.
async function formulas() {
  if (window.MathJax) await MathJax.startup.promise;
  const unset = [...document.querySelectorAll(".math")].filter((each) => !each.querySelector("mjx-container"));
  const errors = [...document.querySelectorAll("mjx-merror, [data-mjx-error]")];
  const raw = [];
  const walker = document.createTreeWalker(document.querySelector("article") || document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (node.parentElement.closest("script, style, pre, code, .sig, mjx-container, .math")) continue;
    if (/\\[([]|\$[^\s$][^$]*\$|\\begin\{|(\|[^|]+){4}\|/.test(node.data)) raw.push(node.data.trim().slice(0, 80));
  }
  return { n: document.querySelectorAll("mjx-container").length, failed: [...unset, ...errors].map(describe), raw };
}

function blocksWithoutCopyButton() {
  const blocks = [...document.querySelectorAll("div.highlight")].filter((each) => each.querySelector("pre"));
  return { n: blocks.length, without: blocks.filter((each) => !each.querySelector("button.copybtn")).map(describe) };
}

// Elements beyond the right edge of the window. Those in a box of the article that scrolls don't count. (The theme lets
// the whole article scroll, which would hide any fault.)
function tooWide() {
  const root = document.documentElement;
  const wide = [];
  if (root.scrollWidth > innerWidth) wide.push(`the page is ${root.scrollWidth} px wide`);
  const scrolls = (each) => each.closest("article") && !each.matches("article") && isScrollable(each);
  for (const element of document.querySelectorAll("article :not(.headerlink)")) {
    const box = element.getBoundingClientRect();
    if (box.right <= innerWidth + 1 || box.width < 2 || !element.checkVisibility({ opacityProperty: true })) continue;
    if (!ancestors(element.parentElement).some(scrolls)) wide.push(`${Math.round(box.right)} px: ${describe(element)}`);
  }
  return wide.slice(0, 5);
}

function isScrollable(element) {
  return ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
}

// A change of the theme is an event, which comes after the call that causes it.
async function themeIs(theme) {
  while ((document.documentElement.dataset.theme ?? theme) !== theme) await new Promise(requestAnimationFrame);
}

async function pageFacts(theme) {
  await themeIs(theme);
  return {
    formulas: await formulas(),
    figures: await figures(),
    text: faintText(),
    code: blocksWithoutCopyButton(),
    buttons: [...document.querySelectorAll("article .sd-btn")].map((each) => each.innerText.trim()),
  };
}
