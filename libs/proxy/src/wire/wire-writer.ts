export { fieldBytes, putLength, putVarint, varintBytes, wideFieldBytes } from '@cometmq/shared';
