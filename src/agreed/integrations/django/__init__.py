"""Management commands that run on one machine of many.

    INSTALLED_APPS = [..., "agreed.integrations.django"]
    AGREED_URL = "agreed://10.0.0.1:2181/app"           of the settings; else the variable of that name
    AGREED_TTL = 10.0                                   seconds until another machine takes over

    manage.py run_leader nightly -- send_invoices --all         any management command (`run_leader`)

    class Command(LeaderCommand):                               or one that is made for it (`commands`)
        def handle(self, *args, **options): ...

`run_leader` runs the command as a process of its own, which is ended when leadership is lost, as `agreed run`
does.  `LeaderCommand` runs in this process, and cannot be ended from outside: its `handle` asks
`self.term.check()` before each thing that others see.

It has no models, and needs none.
"""
