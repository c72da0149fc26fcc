import { describeCommands } from '../cli/support/suite.js';

describeCommands('commands of an ordinary user');
