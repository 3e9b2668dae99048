#!/bin/sh
# stratuslab-one-context: takes the parameters that a user gave when starting this machine.
