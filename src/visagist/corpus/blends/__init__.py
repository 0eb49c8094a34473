"""New people from old: blends in mesh space, and second pictures of them."""
