"""Boot images: what a sandbox starts from, defined in TOML, built into a store, prepared for a driver."""

from images.build import BuilderMissing, BuildFailed, build, why_not_here
from images.definition import (
    DefinitionInvalid,
    Entrypoint,
    ImageDefinition,
    ImageMissing,
    Readiness,
    folders,
    load,
    names,
)
from images.finishing import definition_sha256
from images.prepared import PreparedImage, offered, prepare_all, why_not_offered
from images.sources import Sources, SourcesMissing, host_sources
from images.store import BuiltImage, ImageInUse, ImageNotBuilt, ImageStore, Manifest, StoreBusy

__all__ = [
    "BuildFailed",
    "BuilderMissing",
    "BuiltImage",
    "DefinitionInvalid",
    "Entrypoint",
    "ImageDefinition",
    "ImageInUse",
    "ImageMissing",
    "ImageNotBuilt",
    "ImageStore",
    "Manifest",
    "PreparedImage",
    "Readiness",
    "Sources",
    "SourcesMissing",
    "StoreBusy",
    "build",
    "definition_sha256",
    "folders",
    "host_sources",
    "load",
    "names",
    "offered",
    "prepare_all",
    "why_not_here",
    "why_not_offered",
]
