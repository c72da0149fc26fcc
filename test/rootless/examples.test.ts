/** The examples once more, as an ordinary user: namespaces and TUNs are those of a user namespace. */
import '../examples/any-datagrams.test.js';
import '../examples/examples.test.js';
import '../examples/readme.test.js';
