/**
 * What RFC 8504 asks of an IPv6 node, and what of it is here. What finds neighbours and routers is the business of links
 * that have them, those of Ethernet frames (`lib/ethernet`); on links of plain packets addresses and routes are configured.
 */
export interface NodeRequirement {
  readonly topic: string;
  /** As `RFC n §s`. */
  readonly source: string;
  readonly implemented: boolean;
  readonly note: string;
}

const requirement = (topic: string, source: string, implemented: boolean, note: string): NodeRequirement =>
  Object.freeze({ topic, source, implemented, note });

export const NODE_REQUIREMENTS: readonly NodeRequirement[] = Object.freeze([
  requirement(
    'IPv6 itself, extension headers, source fragmentation, reassembly',
    'RFC 8200',
    true,
    'routers too, where `forwarding` is on',
  ),
  requirement(
    'limits on extension headers and options',
    'RFC 8504 §5.3',
    true,
    'options `extensionHeaders` and `optionsPerHeader`',
  ),
  requirement('atomic fragments apart, overlapping fragments dropped', 'RFC 6946, RFC 5722', true, ''),
  requirement('whole header chain in the first fragment', 'RFC 7112', true, ''),
  requirement('unpredictable fragment identifications', 'RFC 7739', true, 'random'),
  requirement('path MTU discovery', 'RFC 8201', true, 'lessons last ten minutes'),
  requirement('ICMPv6', 'RFC 4443', true, 'errors are limited in rate'),
  requirement('extended ICMP', 'RFC 4884', true, 'understood on input, not sent'),
  requirement('flow labels', 'RFC 6437', true, 'option `flowLabels`'),
  requirement('deprecated type 0 routing headers refused', 'RFC 5095', true, ''),
  requirement('default address selection', 'RFC 6724', true, 'the default policy table'),
  requirement('scoped addresses', 'RFC 4007', true, 'link-local destinations need their port'),
  requirement(
    'explicit congestion notification',
    'RFC 3168',
    true,
    'handed up, set by transports, merged in reassembly',
  ),
  requirement(
    'redirects',
    'RFC 4861 §8',
    true,
    'believed where `acceptRedirects` is on; routers send them where `sendRedirects` is, to neighbours',
  ),
  requirement(
    'subnet-router anycast addresses',
    'RFC 4291 §2.6.1',
    false,
    'routers have their own addresses only',
  ),
  requirement(
    'neighbour discovery and unreachability detection',
    'RFC 4861',
    true,
    'on links of Ethernet frames; elsewhere messages are checked and ignored',
  ),
  requirement(
    'duplicate address detection',
    'RFC 4862 §5.4',
    true,
    'on links of Ethernet frames; elsewhere the one at the other end is not asked',
  ),
  requirement(
    'stateless autoconfiguration, router advertisements',
    'RFC 4862',
    true,
    'on links of Ethernet frames, where they are asked for (`routerDiscovery`)',
  ),
  requirement('temporary addresses', 'RFC 8981', false, 'selected when configured, not generated'),
  requirement(
    'multicast listener discovery',
    'RFC 3810',
    true,
    'and version 1 to older queriers; solicited-node groups of own addresses are reported where there are neighbours',
  ),
  requirement('jumbograms', 'RFC 2675', false, 'refused'),
  requirement('DHCPv6', 'RFC 8415', false, 'addresses and routes are configured'),
  requirement('IPsec', 'RFC 4301', false, 'optional since RFC 8504; ESP and AH are answered as unknown'),
]);
