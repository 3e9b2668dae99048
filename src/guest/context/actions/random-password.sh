#!/bin/sh
# random-password
