import numpy as np
import pytest
from PIL import Image

from tests.photo import photo_samples as samples
from visagist.photo.profiles import Profile, ProfileError, add_edit, srgb_profile_bytes

RGB = samples.picture()


def test_profiles_that_act_like_srgb_are_recognised():
    assert Profile(srgb_profile_bytes()).is_srgb
    assert Profile(samples.rgb_profile(samples.SRGB, "srgb")).is_srgb
    assert not Profile(samples.rgb_profile(samples.P3, "srgb")).is_srgb
    assert not Profile(samples.rgb_profile(samples.SRGB, 1.8)).is_srgb


def test_kinds_of_profile():
    assert Profile(samples.grey_profile()).mode == "L"
    assert Profile(samples.rgb_profile()).mode == "RGB"
    for damaged in (b"", b"x" * 300, samples.rgb_profile()[:200]):
        with pytest.raises(ProfileError):
            Profile(damaged)


def test_colours_go_and_come_back():
    profile = Profile(samples.rgb_profile(samples.P3, "srgb"))
    muted = (RGB // 2 + 64).astype(np.uint8)
    own = profile.from_srgb(Image.fromarray(muted))
    back = np.asarray(profile.to_srgb(own))
    assert np.abs(back.astype(int) - muted).max() <= 2


def test_an_edit_moves_only_what_was_edited():
    profile = Profile(samples.rgb_profile())
    before = np.asarray(profile.to_srgb(Image.fromarray(RGB)))
    after = before.copy()
    after[5, 6] = (255, 0, 0)
    after[20, 30] = (0, 0, 255)
    saved = add_edit(profile, RGB, before, after)
    same = (before == after).all(axis=2)
    np.testing.assert_array_equal(saved[same], RGB[same])
    assert (saved[~same] != RGB[~same]).any()
    assert add_edit(profile, RGB, before, before) is RGB


def test_a_feathered_edit_has_no_seam():
    # The colour lies outside sRGB; an edit that fades to nothing must fade in its own space too.
    profile = Profile(samples.rgb_profile())
    own = np.full((1, 64, 3), (0, 250, 20), np.uint8)
    before = np.asarray(profile.to_srgb(Image.fromarray(own)))
    fade = np.linspace(1, 0, 64)[None, :, None]
    after = np.rint(before * (1 - fade) + np.array((120, 120, 120)) * fade).astype(np.uint8)
    saved = add_edit(profile, own, before, after).astype(int)
    assert np.abs(np.diff(saved, axis=1)).max() <= 12
    np.testing.assert_array_equal(saved[0, -1], own[0, -1])


def test_the_srgb_profile_is_always_the_same():
    assert srgb_profile_bytes() == srgb_profile_bytes()
    assert srgb_profile_bytes()[36:40] == b"acsp"
