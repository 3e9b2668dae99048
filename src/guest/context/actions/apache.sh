#!/bin/sh
# apache
