"""The programs labs are made of: found, downloaded, built or unpacked, in one cache.

toolchain      the plot: what is missing comes from PATH, cache, release, Go build or Debian, in that order
├── catalogue  what toolchain/versions.toml says, as records
├── store      the cache folder: keys, locks, publishing whole folders, sweeping half-made ones
├── releases   official releases: download, verify, unpack
├── builds     Go builds, and the Go toolchain and C compiler they need
└── debian     .deb files unpacked beside each other, and the wrappers that make their programs run there
"""

from labsupport.systems.toolchain.store import Provenance
from labsupport.systems.toolchain.toolchain import DirectAccess, Toolchain

__all__ = ["DirectAccess", "Provenance", "Toolchain"]
