/** A virtual machine's network needs no root, on either side of the machine's card. */
import '../examples/vm-network.test.js';
