"""What holds for a gallery in a file holds on Milvus: the very same tests."""

from __future__ import annotations

import pytest

from tests.gallery.test_gallery import (
    test_a_known_face_and_a_stranger,  # noqa: F401
    test_adding_takes_the_newer_consent_and_date,  # noqa: F401
    test_an_expired_person_gets_no_further_picture,  # noqa: F401
    test_an_export_is_whole_and_logged,  # noqa: F401
    test_many_at_once_are_one_change,  # noqa: F401
    test_the_best_of_several_templates_counts_and_each_person_once,  # noqa: F401
    test_the_same_person_twice,  # noqa: F401
    test_threads_and_writers_at_once_lose_nobody,  # noqa: F401
    test_two_processes_see_each_other,  # noqa: F401
    test_vectors_of_another_model_are_refused,  # noqa: F401
    test_what_is_enrolled_is_there_after_opening_again,  # noqa: F401
)
from tests.gallery.test_migrating import (
    test_broken_off_it_goes_on_where_it_was,  # noqa: F401
    test_everybody_with_a_kept_picture_moves,  # noqa: F401
    test_vectors_of_the_same_size_still_do_not_mix,  # noqa: F401
)

pytestmark = pytest.mark.usefixtures("on_milvus")
