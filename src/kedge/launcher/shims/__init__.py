"""Files that `bundle` puts into the zipapp under other names: what a step sees as ``kedge``, ``kfp`` and ``kfp.dsl``.

They are never imported from here.
"""
