/** A virtual machine's network needs no root. */
import '../examples/vm-network.test.js';
