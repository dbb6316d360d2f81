"""Ways of working together that go beyond single operations."""
