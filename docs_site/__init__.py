"""The docs site: templates, assets, the page and the small server that shows it."""
