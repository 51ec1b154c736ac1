"""The file format of saved models: JSON documents and one file of arrays, in a folder or a .zip.

docs/model_files.md describes the format.
"""
