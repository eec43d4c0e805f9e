"""What goes out of the site: tables as files, citations, badges, pictures and charts to embed.

Modules here are pure: they get what a selector has read, and give text or bytes. ``docs/export.md``
says what each holds.
"""
