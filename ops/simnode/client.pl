#!@PERL@ -C0
# The thin client behind the node's `vzctl`, `vzlist`, `df` and a container's `halt`: asks the simulator, prints, exits.
#
# Copied into the node's folders with PERL, SOCKET, SENDMSG and PLACE filled in by tools.py, and started thousands of times: Perl,
# because that is up in a fifth of the time Python takes, and only what is built into it. Its process id is what the lock files
# name, so killing it kills the command.

use strict;

my $SOCKET = "\0" . '@SOCKET@';  # abstract
my ($AF_UNIX, $SOCK_STREAM, $SOL_SOCKET, $SCM_RIGHTS, $F_SETFL, $O_NONBLOCK, $EINTR, $EAGAIN) = (1, 1, 1, 1, 4, 2048, 4, 11);
my ($INT, $KILL, $PIPE) = (2, 9, 13);

my @words = ($0 . '@PLACE@', @ARGV);
my ($tool) = $words[0] =~ m{([^/]*)\z};
my $command = $tool eq 'vzctl' ? (grep { !/^-/ } @ARGV, '')[0] : '';

my %file;  # 1 and 2
my %pipes;  # each pipe's end that we read, and the file it goes to
my ($link, @nulls);

# All of $text; false where the reader is gone, which is no reason to stop (vzctl goes on too, a script dies by SIGPIPE).
sub put {
    my ($to, $text) = @_;
    while (length $text) {
        my $written = syswrite $to, $text;
        if (defined $written) { substr $text, 0, $written, '' }
        elsif ($! != $EINTR) { return 0 }
    }
    return 1;
}

sub taken {  # HANDLE: what is there to read now, empty at its end, undef where nothing is there yet
    my ($from) = @_;
    my ($text, $size) = ('');
    1 until defined($size = sysread $from, $text, 65536) || $! != $EINTR;
    return defined $size || $! != $EAGAIN ? $text : undef;
}

sub dies {
    my ($number) = @_;
    $SIG{$_} = 'DEFAULT' for qw(INT TERM PIPE HUP QUIT ALRM USR1 USR2);
    kill $number, $$;
    sleep 1 while 1;
}

# A child as a shell script runs it, first word: which of its output the caller sees; its exit code as `$?` has it.
sub run {
    my ($shown, @argv) = @_;
    my $pid = fork;
    return 127 unless defined $pid;
    if (!$pid) {
        open STDIN, '+<', '/dev/null';
        open STDOUT, '+<', '/dev/null' if $shown eq 'nothing' || $shown eq 'errors';
        open STDERR, '+<', '/dev/null' if $shown eq 'nothing';
        exec { $argv[0] } @argv;
        exit 127;
    }
    1 while waitpid($pid, 0) < 0 && $! == $EINTR;
    return $? & 127 ? 128 + ($? & 127) : $? >> 8;
}

sub ask {
    my ($out, $err) = @_;
    socket $link, $AF_UNIX, $SOCK_STREAM, 0;
    if (!connect $link, pack 'S a*', $AF_UNIX, $SOCKET) {
        put($file{2}, "$tool: this simulated node is switched off (start `python -m ops.simnode`)\n");
        exit 255;
    }
    my $folder = readlink '/proc/self/cwd';
    $folder = '/' unless defined $folder && -d $folder;
    my $input = '';
    if ($tool eq 'chpasswd') {  # its whole input travels with the question
        while (length(my $piece = taken(\*STDIN))) { $input .= $piece }
        $input =~ tr/\0//d;
    }
    my $body = join "\0", $folder, $input, @words;
    my $message = pack('V', length $body) . $body;
    # Perl has no sendmsg of its own: struct cmsghdr with three descriptors, struct iovec, struct msghdr (sendmsg(2), cmsg(3), 64 bits)
    my $files = pack 'Q i i i3 x4', 28, $SOL_SOCKET, $SCM_RIGHTS, 0, $out, $err;
    my $piece = pack 'P Q', $message, length $message;
    my $header = pack 'x16 P Q P Q x8', $piece, 1, $files, length $files;
    my $sent = syscall @SENDMSG@, fileno $link, $header, 0;
    dies($KILL) if $sent < 0;
    put($link, substr $message, $sent);
}

# Ask for a command inside, whose output comes by pipes of ours, as vzctl has them.
sub ask_relayed {
    my @writes;
    for my $to (1, 2) {
        pipe my $reads, $writes[$to];
        fcntl $reads, $F_SETFL, $O_NONBLOCK;
        $pipes{fileno $reads} = [$reads, $file{$to}];
    }
    ask(fileno $writes[1], fileno $writes[2]);
}

# What is in the pipe now; false once there is nothing. Where our reader is gone ours is closed too: a write inside fails then.
sub pass_on {
    my ($fd) = @_;
    my ($reads, $to) = @{$pipes{$fd}};
    my $text = taken($reads);
    return 0 unless defined $text;
    return 1 if length $text && put($to, $text);
    delete $pipes{$fd};
    return 0;
}

# Until the simulator says something; what runs inside is printed meanwhile.
sub listen_to_all {
    while (%pipes) {
        my $ready = '';
        vec($ready, $_, 1) = 1 for fileno $link, keys %pipes;
        next if select($ready, undef, undef, undef) < 0;
        return if vec $ready, fileno $link, 1;
        for (keys %pipes) { pass_on($_) if vec $ready, $_, 1 }
    }
}

# Print what the simulator says until it says how to end; without a word of it, die as the command did.
# What was begun inside and still holds the pipes is not waited for, as vzctl does not (src/lib/exec.c).
sub answer {
    my $left = '';
    while (1) {
        listen_to_all();
        my $piece = taken($link);
        dies($KILL) unless length $piece;
        $left .= $piece;
        while (length $left >= 5 && length $left >= 5 + (my $size = unpack 'x V', $left)) {
            my ($kind, $text) = unpack "a x4 a$size", substr $left, 0, 5 + $size, '';
            for my $fd (keys %pipes) { 1 while exists $pipes{$fd} && pass_on($fd) }
            obey($kind, $text);
        }
    }
}

# Do one thing the simulator says.
sub obey {
    my ($kind, $text) = @_;
    if ($kind =~ /[oe]/i) {
        put($file{lc $kind eq 'o' ? 1 : 2}, $text);
        put($link, 'A') if $kind =~ /[OE]/;  # the simulator waits until it is out
    }
    elsif ($kind eq 'r') { put($link, 'R' . chr run(split /\0/, $text, -1)) }
    elsif ($kind eq 'c') { exit $text }
    elsif ($kind eq 's') { dies($text) }
    elsif ($kind eq 'x') {  # not for the simulator: run the real tool of that name
        my @argv = split /\0/, $text, -1;
        exec { $argv[0] } @argv;
    }
}

while (grep { !-e "/proc/self/fd/$_" } 0, 1, 2) {
    open my $null, '+<', '/dev/null';  # takes the lowest free number
    push @nulls, $null;
}
open $file{$_}, '>&=', $_ for 1, 2;
if ($tool eq 'vzmigrate') {  # a shell script: dies of any signal where it is, also of a reader that is gone
    $SIG{INT} = $SIG{PIPE} = 'DEFAULT';
    ask(1, 2);
}
else {
    $SIG{PIPE} = 'IGNORE';
    $command =~ /^(exec[23]?|runscript)\z/ ? ask_relayed() : ask(1, 2);
    $SIG{TERM} = sub { put($link, 'T') };
    $SIG{INT} = sub { put($link, 'I') };
}
answer();
