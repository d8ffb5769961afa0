"""Boot images: what a sandbox starts from."""

from images.definition import ImageDefinition, ImageMissing, PreparedImage, digest, load, names, prepare

__all__ = ["ImageDefinition", "ImageMissing", "PreparedImage", "digest", "load", "names", "prepare"]
