"""What every test runs with: brokers that start quickly, since most live for seconds."""

import os

# A JVM that compiles once and collects on one thread starts a broker in three seconds of CPU instead of five.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
