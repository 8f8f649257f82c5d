# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Configurations with a password in them, in every spelling. SECRET is the whole of it, or begins each piece of it."""

SECRET = "hunter2"

#: What xl reads.
READ = {
    "vncpasswd": "vncpasswd = 'hunter2'\n",
    "spicepasswd": 'spicepasswd="hunter2"\n',
    "a number": "vncpasswd = 0xf00d\nextra = 'hunter2'\n",
    "joined": "vncpasswd = 'hunt'\nvncpasswd += 'er2hunter2'\n",
    "joined list": 'vfb = ["type=vnc"]\nvfb += ["vncpasswd=hunter2"]\n',
    "vfb": "vfb = [ 'type=vnc, vncunused=1, vncpasswd=hunter2' ]\n",
    "vfb with blanks": "vfb = [ 'type=vnc, vncpasswd = hunter2 hunter2 ,keymap=de' ]\n",
    "quotes in quotes": "vfb = [ 'type=vnc,vncpasswd=\"hunter2,hunter2\"' ]\n",
    "escaped quotes": 'vfb = [ "type=vnc,vncpasswd=\\"hunter2\\",x=\\\\hunter2" ]\n',
    "escaped new line": 'extra = "ro\\nvncpasswd=hunter2\\tvncpasswd=hunter2"\n',
    "nested": 'vfb = [ [ "type=vnc", [ "vncpasswd=hunter2" ] ], ]\n',
    "several lines": 'disk = [\n  "/dev/a,raw,xvda",  # key=hunter2\n\n  # hunter2\n  "target=rbd:p/i:key=hunter2"\n]\n',
    "comment": "# vncpasswd = 'hunter2'\n#hunter2\n",
    "comment behind": "serial = 'pty' # hunter2\n",
    "commented out upper case": "# VNCPASSWD='hunter2'\n",
    "two a line": "serial='pty';vncpasswd='hunter2';;sdl=0\n",
    "rbd": 'disk = ["vdev=xvda,format=raw,target=rbd:p/i:id=u:key=hunter2:auth_supported=cephx"]\n',
    "iscsi user": 'disk = ["vdev=xvdb,target=iscsi://user%hunter2@192.0.2.1/iqn.2000-01.example:x/1"]\n',
    "chap": "disk = ['script=block-iscsi,vdev=xvda,target=iqn=x,portal=192.0.2.1,user=u,password=hunter2']\n",
    "url": "disk = ['vdev=hdc,target=https://u:hunter2@example.com/a.iso']\n",
    "object": 'device_model_args = ["-object", "secret,id=s0,data=hunter2,format=raw"]\n',
    "object of hvm": 'device_model_args_hvm = ["-object","tls-creds-x509,passwordid=x","hunter2"]\n',
    "object of pv": 'device_model_args_pv = ["-fw_cfg", "opt/x,string=hunter2"]\n',
    "extra": 'extra = "root=/dev/xvda rootflags=password=hunter2 luks=hunter2"\n',
    "root": "root = '/dev/nfs:hunter2'\n",
    "cmdline": 'cmdline = "ro inst.ks=http://u:hunter2@192.0.2.1/ks"\n',
    "bootloader": 'bootloader_args = ["--password", "hunter2"]\n',
    "upper case option": "vfb = ['VNCPASSWD=hunter2']\n",
    "a key of nobody": "kernel_args = 'token hunter2'\nacme.token_9 = ['hunter2']\n",
    "in a harmless key": "on_crash = 'hunter2'\nbuilder = 'hunter2'\ntype = 'hunter2'\nuuid = 'hunter2'\n",
    "in a key that is set": 'cpus_soft = "all,hunter2"\npool = "vncpasswd=hunter2"\nvnuma = [["pnode=0", "x=hunter2"]]\n',
    "in a key of CPUs": "vcpus = 2\ncpus = ['node:1,hunter2', 'node:70,hunter2']\ncpus_soft = 'node:0,^hunter2'\n",
    "in a name": 'name = "web\\", vncpasswd=\'hunter2\'"\n',
    "other bytes": "title = 'caf\udce9 hunter2'\n",
    "no last line": "vncpasswd='hunter2'",
}

#: What xl refuses.
REFUSED = {
    "unterminated": "vncpasswd = 'hunter2\n",
    "unterminated in a list": 'vfb = [ "vncpasswd=hunter2, ]\n',
    "bare": "vncpasswd = hunter2\n",
    "bare in a list": "vfb = [hunter2]\n",
    "bare behind": "vncpasswd = 'x' hunter2\n",
    "first": "hunter2\n",
    "no value": "vncpasswd = 'x'; hunter2 = \n",
    "upper case": "VNCPASSWD = 'hunter2'\n",
    "number that is none": "vncpasswd = 2hunter2\n",
    "escape": 'vncpasswd = "hunter2\\qhunter2"\n',
    "carriage return": "vncpasswd = 'hunter2'\r\n",
    "comment without an end": "vncpasswd = 'x'\n# hunter2",
    "not closed": "vfb = ['vncpasswd=hunter2'\n",
    "list and text": "vfb = ['hunter2']\nvfb += 'hunter2'\n",
    "other letters": "vncpasswd = \u201chunter2\u201d\n",
    "new line in it": "vncpasswd = 'hunter2\nhunter2'\n",
    "not a number": "vcpus = 'hunter2'\n",
    "not a single value": "vcpus = ['hunter2']\n",
    "colon": "vncpasswd: hunter2\n",
    "python": "vncpasswd = str('hunter2')\n",
}


def pieces(text):
    """What of the password must be nowhere in `text`; empty when it is clean."""
    return [piece for piece in (SECRET, "f00d") if piece in text]
