/** A virtual machine's network needs no root, on either side of the machine's card; and a real machine none either. */
import '../examples/vm-network.test.js';
import '../links/virtual-machine.test.js';
