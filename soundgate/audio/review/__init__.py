"""The page a reviewer decides by: ``report.html``, one file that needs nothing besides itself.

``page.write`` makes it; ``evidence`` reads what a run left, ``clips`` chooses what to listen to,
``media`` turns it into sound and pictures, ``wording`` says figures in words.
"""
