"""Which disturbances a training shows its network: one section for every recipe.

Two executors read it: :func:`visagist.training.augment.disturb` on batches of tensors, and
:mod:`visagist.training.degrade` on single pictures in the process that prepares them. A strength of
1 has the ranges that are written there. What a recipe leaves out is off.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

OPERATIONS = ("geometric", "photometric", "blur", "noise", "jpeg", "occlusion")


class GeometricConfig(BaseModel):
    """Where the face lies in the crop. Lengths are fractions of the crop's side."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(True, description="false switches all of this off")
    roll: float = Field(0.0, description="degrees, largest roll", ge=0, le=180)
    scale: float = Field(0.0, description="largest relative change of the crop's scale", ge=0)
    shift: float = Field(0.0, description="largest shift of the crop", ge=0)
    anisotropy: float = Field(0.0, description="largest relative change of aspect, and shear", ge=0)
    warp: float = Field(0.0, description="standard deviation of a smooth random displacement", ge=0)
    mirror: bool = Field(True, description="show every second face mirrored")


class PhotometricConfig(BaseModel):
    """Light and colour of the whole picture."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(True, description="false switches all of this off")
    strength: float = Field(
        0.0,
        description="exposure, colour cast, contrast, gamma, saturation; 1 is about a stop",
        ge=0,
    )
    grey: float = Field(0.0, description="share of pictures without colour", ge=0, le=1)


class DefectConfig(BaseModel):
    """One defect of a picture."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(True, description="false switches it off")
    share: float = Field(0.0, description="share of pictures that have it", ge=0, le=1)
    strength: float = Field(1.0, description="1 as designed; scales the largest value", ge=0)

    @property
    def active(self) -> float:
        """The share, 0 when switched off."""
        return self.share if self.enabled and self.strength > 0 else 0.0


class AugmentConfig(BaseModel):
    """Every disturbance of a training, each with its own switch and strength."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    geometric: GeometricConfig = GeometricConfig()
    photometric: PhotometricConfig = PhotometricConfig()
    degraded: float = Field(
        1.0,
        description="share of pictures that blur, noise and JPEG traces may fall on",
        ge=0,
        le=1,
    )
    blur: DefectConfig = DefectConfig()
    noise: DefectConfig = DefectConfig()
    jpeg: DefectConfig = DefectConfig()
    occlusion: DefectConfig = DefectConfig()

    @property
    def disturbs(self) -> bool:
        """Whether anything is done to a picture at all."""
        place, light = self.geometric, self.photometric
        moved = any((place.roll, place.scale, place.shift, place.anisotropy, place.warp))
        defects = self.degraded > 0 and any(d.active for d in (self.blur, self.noise, self.jpeg))
        return (
            (place.enabled and moved)
            or (light.enabled and (light.strength > 0 or light.grey > 0))
            or defects
            or self.occlusion.active > 0
        )

    def switched(self, *names: str) -> AugmentConfig:
        """The same numbers with only ``names`` of :data:`OPERATIONS` enabled."""
        update = {
            name: getattr(self, name).model_copy(
                update={"enabled": getattr(self, name).enabled and name in names}
            )
            for name in OPERATIONS
        }
        return self.model_copy(update=update)

    def everywhere(self) -> AugmentConfig:
        """The same strengths on every picture, so that a sheet shows each defect it has."""
        update: dict[str, object] = {
            name: defect.model_copy(update={"share": 1.0 if defect.share > 0 else 0.0})
            for name in ("blur", "noise", "jpeg", "occlusion")
            if isinstance(defect := getattr(self, name), DefectConfig)
        }
        return self.model_copy(update=update | {"degraded": 1.0 if self.degraded > 0 else 0.0})
