/**
 * A line of shell that runs the client of iperf3 and prints what it says as JSON. A server that is still busy with the
 * client before is asked again, ten times at most.
 */
export const iperf3Client = (flags: string): string =>
  `for _ in 1 2 3 4 5 6 7 8 9 10; do
    said=$(iperf3 -J ${flags}) || true
    case $said in *'server is busy'*) sleep 1 ;; *) break ;; esac
  done
  printf '%s\\n' "$said"`;
