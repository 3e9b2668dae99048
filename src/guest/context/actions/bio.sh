#!/bin/sh
# bio
