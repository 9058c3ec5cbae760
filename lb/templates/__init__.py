"""Files that `lb init` writes, as they are but for what stands in double braces."""
