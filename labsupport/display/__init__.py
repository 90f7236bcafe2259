"""Evidence → what a person sees. The only layer with ipywidgets, IPython, matplotlib; it never imports systems."""
