"""The tabs of the page, one file each: `show(...)` draws it."""
