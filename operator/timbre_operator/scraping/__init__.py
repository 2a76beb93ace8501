"""What do the pods say of themselves?  Their admin ports, asked often and by a few bytes."""

from timbre_operator.scraping.http_scraper import HttpScraper

__all__ = ["HttpScraper"]
