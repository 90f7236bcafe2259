"""CNI products as their projects publish them: pinned manifests and images, got where the internet can be reached.

known      which there are, and what is particular to each
manifest   what a lab changes in a manifest
getting    downloads, into the cache
"""

from labsupport.systems.products.getting import ReadyProduct, get_product, why_not_here
from labsupport.systems.products.known import PRODUCTS, Product

__all__ = ["PRODUCTS", "Product", "ReadyProduct", "get_product", "why_not_here"]
