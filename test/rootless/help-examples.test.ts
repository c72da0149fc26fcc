import { describeHelpExamples } from '../cli/support/help-examples.js';

describeHelpExamples('examples of --help, of an ordinary user');
