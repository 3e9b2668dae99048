#!/bin/sh
# pdisk
