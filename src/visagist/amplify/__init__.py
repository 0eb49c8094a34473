"""Few pairs in, thousands of exact pairs out: Data Amplify Learning (arXiv 2403.15033)."""
