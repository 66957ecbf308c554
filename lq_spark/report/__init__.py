"""What people look at: the parts of a report, as text for a console and as a page of HTML."""
