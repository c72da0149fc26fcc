/** `tcp_info` of a connection under the names and in the units of Linux: segments, µs, ms. */
import type { TcpEndpoint } from '../../stack/tcp-endpoint.js';
import { SYMBOLS } from './symbols.js';

type Info = TcpEndpoint['info'];

const STATES: Readonly<Record<string, string>> = {
  CLOSED: 'TCP_CLOSE',
  'SYN-SENT': 'TCP_SYN_SENT',
  'SYN-RECEIVED': 'TCP_SYN_RECV',
  ESTABLISHED: 'TCP_ESTABLISHED',
  'FIN-WAIT-1': 'TCP_FIN_WAIT1',
  'FIN-WAIT-2': 'TCP_FIN_WAIT2',
  'CLOSE-WAIT': 'TCP_CLOSE_WAIT',
  CLOSING: 'TCP_CLOSING',
  'LAST-ACK': 'TCP_LAST_ACK',
  'TIME-WAIT': 'TCP_TIME_WAIT',
};

const PHASES: Readonly<Record<string, number>> = {
  open: SYMBOLS.TCP_CA_Open,
  disorder: SYMBOLS.TCP_CA_Disorder,
  cwr: SYMBOLS.TCP_CA_CWR,
  recovery: SYMBOLS.TCP_CA_Recovery,
  loss: SYMBOLS.TCP_CA_Loss,
};

/** `tcpi_snd_ssthresh` before anything has set it (Linux `TCP_INFINITE_SSTHRESH`). */
const INFINITE_SSTHRESH = 0x7fff_ffff;

const segments = (info: Info, bytes: number): number => Math.ceil(bytes / info.mssBytes);
const ms = (us: number): number => Math.floor(us / 1000);

const FIELDS: Readonly<Record<string, (info: Info) => number>> = {
  tcpi_state: ({ state }) => SYMBOLS[STATES[state]],
  tcpi_ca_state: ({ phase }) => PHASES[phase],
  tcpi_retransmits: ({ retries }) => retries,
  tcpi_probes: ({ probes }) => probes,
  tcpi_backoff: ({ backoff }) => backoff,
  tcpi_options: (info) => optionBits(info),
  tcpi_snd_wscale: ({ sendWindowShift }) => sendWindowShift,
  tcpi_rcv_wscale: ({ receiveWindowShift }) => receiveWindowShift,
  tcpi_rto: ({ rtoUs }) => rtoUs,
  tcpi_ato: ({ atoUs }) => atoUs,
  tcpi_snd_mss: ({ mssBytes }) => mssBytes,
  tcpi_rcv_mss: ({ receiveMssBytes }) => receiveMssBytes,
  tcpi_unacked: (info) => segments(info, info.unackedBytes),
  tcpi_sacked: (info) => segments(info, info.sackedBytes),
  tcpi_lost: (info) => segments(info, info.lostBytes),
  tcpi_last_data_sent: ({ sinceSentUs }) => ms(sinceSentUs),
  tcpi_last_data_recv: ({ sinceHeardUs }) => ms(sinceHeardUs),
  tcpi_last_ack_recv: ({ sinceHeardUs }) => ms(sinceHeardUs),
  tcpi_pmtu: ({ pathMtuBytes }) => pathMtuBytes,
  tcpi_rtt: ({ rttUs }) => Math.round(rttUs),
  tcpi_rttvar: ({ rttVarUs }) => Math.round(rttVarUs),
  tcpi_min_rtt: ({ minRttUs }) => Math.round(minRttUs),
  tcpi_snd_ssthresh: (info) =>
    info.ssthreshBytes >= INFINITE_SSTHRESH
      ? INFINITE_SSTHRESH
      : Math.floor(info.ssthreshBytes / info.mssBytes),
  tcpi_snd_cwnd: (info) => Math.floor(info.cwndBytes / info.mssBytes),
  tcpi_snd_wnd: ({ sendWindowBytes }) => sendWindowBytes,
  tcpi_rcv_wnd: ({ receiveWindowBytes }) => receiveWindowBytes,
  tcpi_rcv_space: ({ receiveBufferBytes }) => receiveBufferBytes,
  tcpi_total_retrans: ({ retransmissions }) => retransmissions,
  tcpi_bytes_retrans: ({ retransmittedBytes }) => retransmittedBytes,
  tcpi_bytes_acked: ({ ackedBytes }) => ackedBytes,
  tcpi_bytes_received: ({ receivedBytes }) => receivedBytes,
  tcpi_notsent_bytes: ({ unsentBytes }) => unsentBytes,
  tcpi_delivered: (info) => segments(info, info.deliveredBytes),
  tcpi_advmss: ({ announcedMssBytes }) => announcedMssBytes,
  tcpi_retrans: (info) => segments(info, info.retransmittedInFlightBytes),
  tcpi_reord_seen: ({ reorderingSeen }) => (reorderingSeen ? 1 : 0),
  tcpi_rcv_rtt: ({ receiverRttUs }) => Math.round(receiverRttUs),
  tcpi_pacing_rate: ({ pacingRateBps }) => pacingRateBps,
  tcpi_max_pacing_rate: ({ maxPacingRateBps }) => maxPacingRateBps,
  tcpi_delivery_rate: ({ deliveryRateBps }) => Math.round(deliveryRateBps),
  tcpi_delivery_rate_app_limited: ({ isDeliveryRateAppLimited }) => (isDeliveryRateAppLimited ? 1 : 0),
  tcpi_segs_out: ({ segmentsSent }) => segmentsSent,
  tcpi_segs_in: ({ segmentsReceived }) => segmentsReceived,
  tcpi_data_segs_out: ({ textSegmentsSent }) => textSegmentsSent,
  tcpi_data_segs_in: ({ textSegmentsReceived }) => textSegmentsReceived,
  tcpi_rcv_ooopack: ({ outOfOrderSegments }) => outOfOrderSegments,
  tcpi_bytes_sent: ({ sentBytes }) => sentBytes,
  tcpi_dsack_dups: ({ duplicatesReported }) => duplicatesReported,
  tcpi_delivered_ce: ({ deliveredMarks }) => deliveredMarks,
  tcpi_received_ce: ({ receivedMarks }) => receivedMarks,
  tcpi_delivered_e0_bytes: ({ deliveredEcn }) => deliveredEcn.ect0Bytes,
  tcpi_delivered_e1_bytes: ({ deliveredEcn }) => deliveredEcn.ect1Bytes,
  tcpi_delivered_ce_bytes: ({ deliveredEcn }) => deliveredEcn.ceBytes,
  tcpi_received_e0_bytes: ({ receivedEcn }) => receivedEcn.ect0Bytes,
  tcpi_received_e1_bytes: ({ receivedEcn }) => receivedEcn.ect1Bytes,
  tcpi_received_ce_bytes: ({ receivedEcn }) => receivedEcn.ceBytes,
  tcpi_total_rto: ({ timeouts }) => timeouts,
  tcpi_total_rto_recoveries: ({ timeoutRecoveries }) => timeoutRecoveries,
  tcpi_busy_time: ({ busyUs }) => Math.round(busyUs),
  tcpi_rwnd_limited: ({ windowLimitedUs }) => Math.round(windowLimitedUs),
  tcpi_sndbuf_limited: ({ bufferLimitedUs }) => Math.round(bufferLimitedUs),
};

function optionBits(info: Info): number {
  const { TCPI_OPT_TIMESTAMPS, TCPI_OPT_SACK, TCPI_OPT_WSCALE, TCPI_OPT_ECN, TCPI_OPT_SYN_DATA } = SYMBOLS;
  let bits = info.timestamps ? TCPI_OPT_TIMESTAMPS : 0;
  if (info.sack) bits |= TCPI_OPT_SACK;
  if (info.sendWindowShift > 0 || info.receiveWindowShift > 0) bits |= TCPI_OPT_WSCALE;
  if (info.ecn !== 'none') bits |= TCPI_OPT_ECN;
  return info.fastOpen ? bits | TCPI_OPT_SYN_DATA : bits;
}

/** A field of `tcp_info`, or a constant; undefined for anything else. */
export function tcpInfoValue(endpoint: TcpEndpoint | undefined, name: string): number | undefined {
  if (Object.hasOwn(FIELDS, name)) return endpoint === undefined ? undefined : FIELDS[name](endpoint.info);
  return Object.hasOwn(SYMBOLS, name) ? SYMBOLS[name] : undefined;
}
