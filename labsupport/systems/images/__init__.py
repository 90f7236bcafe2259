"""The lab's own images, built here and offline.

recipes   which there are, what each is made of, what it costs
staging   fills the folder each is built from
archives  the cache of built images
images    has them on an engine: from the cache, else built
seeds     engines that have them from the start
"""

from labsupport.systems.images.archives import archives_of, missing_images
from labsupport.systems.images.images import Images
from labsupport.systems.images.recipes import full_names
from labsupport.systems.images.seeds import EngineSeeds

__all__ = ["EngineSeeds", "Images", "archives_of", "full_names", "missing_images"]
