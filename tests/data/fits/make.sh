#!/bin/sh
# Makes the files of this folder again: make.sh PYTHON, where PYTHON has fitsio; stilts must be on the path.
set -e
cd "$(dirname "$0")"
"$1" make_by_fitsio.py
for format in fits-plus fits-basic fits-var colfits-basic; do
  stilts tcopy in=nulls.vot ifmt=votable out="stilts-$format.fits" ofmt="$format"
done
"$1" -c "
print(','.join(f'c{number}' for number in range(1100)))
print(','.join(str(number) for number in range(1098)) + ',text,')
print(','.join(str(-number) for number in range(1098)) + ',,7')" > wide.csv
stilts tcopy in=wide.csv ifmt=csv out=stilts-wide.fits ofmt=fits-basic
gzip -9nf stilts-wide.fits
rm wide.csv
stilts tpipe in=nulls.vot ifmt=votable cmd='addcol list array(1,2,3)' cmd='keepcols "l list"' \
  out=stilts-arrays.fits ofmt=fits-var
printf 'fixed,n\n"a ",1\n" b  ",2\n,3\n"  ",4\n"abc  ",5\nab,6\n' > texts.csv
stilts tcopy in=texts.csv ifmt=csv out=stilts-texts.fits ofmt=fits-basic
rm texts.csv
