import { describeHelpExamples } from './support/help-examples.js';

describeHelpExamples('examples of --help');
