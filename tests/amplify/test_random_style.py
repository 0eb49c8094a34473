import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from visagist.amplify.random_style import _PRODUCTS, random_style


@given(st.integers(0, 2**32))
def test_every_draw_is_a_style_that_paints_something(seed):
    style = random_style(np.random.default_rng(seed))
    assert any(getattr(style, product).strength > 0 for product in _PRODUCTS)
    assert style == random_style(np.random.default_rng(seed))


def test_products_are_worn_as_often_as_the_table_says():
    rng = np.random.default_rng(0)
    drawn = [random_style(rng) for _ in range(600)]
    for product, (share, _) in _PRODUCTS.items():
        worn = np.mean([getattr(style, product).strength > 0 for style in drawn])
        assert abs(worn - share) < 0.08
