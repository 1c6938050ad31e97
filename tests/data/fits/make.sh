#!/bin/sh
# Makes the files of this folder again: make.sh PYTHON, where PYTHON has fitsio; stilts must be on the path.
set -e
cd "$(dirname "$0")"
"$1" make_by_fitsio.py
for format in fits-plus fits-basic fits-var colfits-basic; do
  stilts tcopy in=nulls.vot ifmt=votable out="stilts-$format.fits" ofmt="$format"
done
stilts tpipe in=nulls.vot ifmt=votable cmd='addcol list array(1,2,3)' cmd='keepcols "l list"' \
  out=stilts-arrays.fits ofmt=fits-var
