/**
 * Ends what we have started when we end ourselves, however that comes about. A shell in a session of its own, which no
 * Ctrl-C reaches, is told of every process that begins and ends; when its input ends without a farewell, we are gone, and
 * it stops those that are left: with SIGTERM, and with SIGKILL after `graceS` seconds.
 */
import { spawn, type ChildProcess } from 'node:child_process';

const graceS = 20;

const script = `
left=' '
while read -r what pid; do
  case $what in
    began) left="$left$pid " ;;
    ended) left="\${left%% $pid *} \${left#* $pid }" ;;
  esac
done
signal() { for pid in $left; do kill -$1 $pid 2>/dev/null && living=yes; done; }
signal TERM
seconds=0
while [ $seconds -lt ${graceS} ]; do
  living=no
  signal 0
  [ $living = yes ] || exit 0
  sleep 1
  seconds=$((seconds + 1))
done
signal KILL
`;

let shell: ChildProcess | undefined;

function tell(line: string): void {
  if (shell === undefined) {
    const env = { PATH: process.env['PATH'] };
    shell = spawn('sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'], detached: true, env });
    shell.unref();
    // Without a shell, or when somebody killed it, there is nobody to tell; all else goes on.
    shell.on('error', () => undefined);
    shell.stdin?.on('error', () => undefined);
    (shell.stdin as { unref?: () => void } | null)?.unref?.();
  }
  shell.stdin?.write(`${line}\n`);
}

export function began(pid: number): void {
  tell(`began ${pid}`);
}

export function ended(pid: number): void {
  tell(`ended ${pid}`);
}
