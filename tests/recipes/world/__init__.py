"""Users of the recipes in a random world, in virtual time: everything that happens is drawn from one seed.

    python -m tests.recipes.world --recipe barrier --seeds 1..10000

    virtual.py      an event loop whose time stands still while anybody has something to do
    far.py          a client of a stage behind a network: late, lost, done and not answered, cut off for
                    longer than a session lives
    world.py        users who are told things, cancelled and out of time; what is wrong in any case
    plays/          for each recipe what its users do, and a judge of what they were told
    mutants.py      recipes with one mistake each, every one of which has to be found

For some seconds everything goes wrong.  Then it is healed, and whatever can come to its end has to.  The
judge knows the history of the store, each revision of it: so "surely not done", "let through", "exactly once"
are held against what was so, and not against what others were told.

What it does not know: real services (the same contract is kept by `far.py` as loosely as it allows), threads,
and processes that die; `agreed torture --recipes` has those.
"""
