// Stands in for what is left out of the bundles: WalletConnect talks to a third party, which no page here does.
export default {};
export const UniversalConnector = undefined;
export const defineCustomElements = () => undefined;
