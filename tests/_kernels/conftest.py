import pytest
import torch


@pytest.fixture
def use_threads(tune):
    """A function that sets torch's number of threads; even the smallest call then uses all of them."""
    before = torch.get_num_threads()
    tune(min_parallel_work=-1)
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def poison_memory(monkeypatch):
    """A function that makes torch fill new memory with NaN; it returns a list that collects their sizes."""
    sizes = []

    def poison(function):
        def filled(*args, **kwargs):
            tensor = function(*args, **kwargs)
            sizes.append(tensor.numel())
            return tensor.fill_(torch.nan) if tensor.is_floating_point() else tensor

        return filled

    def start():
        monkeypatch.setattr(torch, "empty", poison(torch.empty))
        monkeypatch.setattr(torch, "empty_like", poison(torch.empty_like))
        monkeypatch.setattr(torch.Tensor, "new_empty", poison(torch.Tensor.new_empty))
        return sizes

    return start
