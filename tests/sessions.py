"""What sessions of Spark on this machine have in common, of tests and of the jobs they start."""

ON_THIS_MACHINE = {
    # The web page is for people.
    "spark.ui.enabled": "false",
    # A machine's own name may not resolve, or resolve to an interface behind a firewall.
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
