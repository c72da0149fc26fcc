import { describeCommands } from './support/suite.js';

describeCommands('commands');
