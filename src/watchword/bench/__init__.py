"""What a service stands: load that is fair to it, numbers that are honest about it, a page that shows them.

``engine`` makes requests and takes times, ``measurement`` counts, ``story`` says what one run does, and ``report``
draws. Nothing here knows a server from the inside: all that is loaded is loaded over HTTP.
"""
