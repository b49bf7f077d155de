"""What every test runs with: brokers that start quickly, since most live for seconds, and no test that fails because
the machine is busy."""

import os

from hypothesis import settings

# A JVM that compiles once and collects on one thread starts a broker in three seconds of CPU instead of five.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

# By default an example that takes longer than 200 ms fails, which tells of the machine and not of the code.
settings.register_profile("tidemark", deadline=None)
settings.load_profile("tidemark")
