"""Microsoft's CLAP: sounds and sentences in one space.

spectrum.py   the log-mel spectrogram that its networks hear through
swin.py       blocks of the Swin transformer (Liu et al. 2021)
htsat.py      HTS-AT (Chen et al. 2022), the audio network of CLAP 2023
cnn14.py      Cnn14 of PANNs (Kong et al. 2020), the audio network of CLAP 2022
microsoft.py  both with the published weights
text.py       its sentences
package.py    the package ``msclap`` itself, as a reference
"""
